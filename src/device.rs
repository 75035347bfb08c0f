//! Choice of the device to compute on. This is the only module that names backends.

use burn::tensor::Device;

/// A device that this program can use.
#[derive(Debug, Clone)]
pub struct Found {
    /// Name by which [`choose`] finds it, such as `wgpu:0`.
    pub flag: String,
    /// Name that the device reports.
    pub name: String,
    /// Whether it is a real GPU: neither a CPU nor a software GPU.
    pub is_gpu: bool,
    /// The Burn device.
    pub device: Device,
}

/// The device chosen by [`choose`].
#[derive(Debug, Clone)]
pub struct Choice {
    /// The Burn device.
    pub device: Device,
    /// Backend and name, such as `flex (CPU)`.
    pub name: String,
    /// Reason for the choice.
    pub why: String,
}

/// The requested device is not available.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// There is no backend with this name.
    #[error("there is no device {flag:?}")]
    Unknown {
        /// The requested name.
        flag: String,
    },
    /// The backend is not compiled into this program.
    #[error("the backend {backend} is not compiled into this program, which has {}", compiled())]
    NotCompiled {
        /// Name of the backend.
        backend: &'static str,
    },
    /// The backend finds no device.
    #[error("{backend} finds no device")]
    NoAdapter {
        /// Name of the backend.
        backend: &'static str,
    },
    /// There is no device with this index.
    #[error("there is no device {flag}: {backend} has {count}, numbered from 0")]
    NoSuchIndex {
        /// The requested name.
        flag: String,
        /// Name of the backend.
        backend: &'static str,
        /// Number of its devices.
        count: usize,
    },
    /// No backend is compiled into this program.
    #[error("no backend is compiled into this program")]
    NoBackend,
}

impl DeviceError {
    /// Suggestion for the user; `None` if there is none.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { .. } => format!("choose auto, cpu or one of {}", BACKENDS.join(", ")),
            Self::NotCompiled { backend } => format!("build with the feature {backend}, or use the device cpu"),
            Self::NoAdapter { backend: "cuda" } => "install NVIDIA's driver, or use the device cpu".into(),
            Self::NoAdapter { .. } => {
                "install the GPU's Vulkan driver (on Debian and Ubuntu the package mesa-vulkan-drivers, which also has a \
                 software GPU; for NVIDIA its own driver), or use the device cpu"
                    .into()
            }
            Self::NoSuchIndex { .. } => "`perceptra devices` lists them".into(),
            Self::NoBackend => "build with the default features, or with the feature flex".into(),
        })
    }
}

/// Names of all backends, the fastest CPU backend first.
const BACKENDS: [&str; 7] = ["flex", "ndarray", "cuda", "metal", "vulkan", "webgpu", "wgpu"];

/// Names of the backends in this program, for messages.
fn compiled() -> String {
    let names: Vec<&str> = BACKENDS.into_iter().filter(|b| is_compiled(b)).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn is_compiled(backend: &str) -> bool {
    match backend {
        "flex" => cfg!(feature = "flex"),
        "ndarray" => cfg!(feature = "ndarray"),
        "cuda" => cfg!(feature = "cuda"),
        "metal" => cfg!(feature = "metal"),
        "vulkan" => cfg!(feature = "vulkan"),
        "webgpu" => cfg!(feature = "webgpu"),
        _ => cfg!(feature = "wgpu"),
    }
}

/// Lists the devices of all backends in this program.
pub fn list() -> Vec<Found> {
    BACKENDS.into_iter().flat_map(found).collect()
}

/// Lists the backends in this program that find no device, with the reason.
pub fn problems() -> Vec<String> {
    BACKENDS
        .into_iter()
        .filter(|b| is_compiled(b) && found(b).is_empty())
        .map(|backend| {
            let error = DeviceError::NoAdapter { backend };
            format!("{error}: {}", error.hint().unwrap_or_default())
        })
        .collect()
}

/// Chooses a device by name: `auto`, `cpu`, or a backend (`flex`, `ndarray`, `wgpu`, `cuda`, `vulkan`, `metal`, `webgpu`), the last
/// five also with the index of a device (`wgpu:1`).
///
/// `auto` is a real GPU if there is one, else flex, else ndarray; `cpu` is flex, else ndarray. A GPU backend without an index is its
/// first real GPU, else its first device.
///
/// # Errors
///
/// A [`DeviceError`] that names what is missing.
pub fn choose(flag: &str) -> Result<Choice, DeviceError> {
    let take = |found: Found, why: String| Choice {
        name: format!("{} ({})", found.flag, found.name),
        device: found.device,
        why,
    };
    let cpu = || ["flex", "ndarray"].into_iter().find_map(|b| found(b).into_iter().next());
    match flag {
        "auto" => {
            let gpus = ["cuda", "metal", "vulkan", "wgpu", "webgpu"];
            if let Some(gpu) = gpus.into_iter().find_map(|b| found(b).into_iter().find(|d| d.is_gpu)) {
                return Ok(take(gpu, "it is a real GPU".into()));
            }
            let why = match gpus.into_iter().any(is_compiled) {
                true => "no real GPU is found",
                false => "no GPU backend is compiled in",
            };
            if let Some(cpu) = cpu() {
                return Ok(take(cpu, why.into()));
            }
            let any = list().into_iter().next().ok_or(DeviceError::NoBackend)?;
            Ok(take(any, "there is no other device".into()))
        }
        "cpu" => cpu().map(|d| take(d, "it is the CPU".into())).ok_or(DeviceError::NotCompiled { backend: "flex" }),
        _ => {
            let (name, index) = flag.split_once(':').map_or((flag, None), |(b, i)| (b, Some(i)));
            let unknown = || DeviceError::Unknown { flag: flag.to_owned() };
            let backend = BACKENDS.into_iter().find(|b| *b == name).ok_or_else(unknown)?;
            if !is_compiled(backend) {
                return Err(DeviceError::NotCompiled { backend });
            }
            let mut devices = found(backend);
            let count = devices.len();
            if count == 0 {
                return Err(DeviceError::NoAdapter { backend });
            }
            let index = match index {
                None => devices.iter().position(|d| d.is_gpu).unwrap_or(0),
                Some(text) => text.parse().map_err(|_| unknown())?,
            };
            if index >= count {
                return Err(DeviceError::NoSuchIndex { flag: flag.to_owned(), backend, count });
            }
            Ok(take(devices.swap_remove(index), "it was requested".into()))
        }
    }
}

/// The devices of a backend; empty if it is not compiled in or finds none.
fn found(backend: &str) -> Vec<Found> {
    match backend {
        #[cfg(feature = "flex")]
        "flex" => vec![cpu("flex", Device::flex())],
        #[cfg(feature = "ndarray")]
        // Upstream's deprecation is known; the backend is kept because it was asked for.
        #[allow(deprecated)]
        "ndarray" => vec![cpu("ndarray", Device::ndarray())],
        #[cfg(feature = "cuda")]
        "cuda" => gpus("cuda", burn::tensor::DeviceType::Cuda),
        #[cfg(feature = "metal")]
        "metal" => gpus("metal", burn::tensor::DeviceType::Metal),
        #[cfg(feature = "vulkan")]
        "vulkan" => gpus("vulkan", burn::tensor::DeviceType::Vulkan),
        #[cfg(feature = "webgpu")]
        "webgpu" => gpus("webgpu", burn::tensor::DeviceType::WebGpu),
        #[cfg(feature = "wgpu")]
        "wgpu" => gpus("wgpu", burn::tensor::DeviceType::Wgpu),
        _ => Vec::new(),
    }
}

#[cfg(any(feature = "flex", feature = "ndarray"))]
fn cpu(flag: &str, device: Device) -> Found {
    Found { flag: flag.to_owned(), name: "CPU".to_owned(), is_gpu: false, device }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn gpus(flag: &str, kind: burn::tensor::DeviceType) -> Vec<Found> {
    // Incomplete drivers panic when they are queried.
    let devices = std::panic::catch_unwind(|| {
        let devices = Device::enumerate(kind).into_vec();
        let identities: Vec<_> = devices.iter().map(Device::identity).collect();
        devices.into_iter().zip(identities).collect::<Vec<_>>()
    });
    devices
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(i, (device, identity))| Found {
            flag: format!("{flag}:{i}"),
            // A software GPU has no physical device.
            is_gpu: identity.as_ref().is_some_and(|id| id.physical.is_some()),
            name: identity.map_or_else(|| format!("{device:?}"), |id| id.name),
            device,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_chosen_by_name_or_are_errors() {
        assert!(matches!(choose("gpu"), Err(DeviceError::Unknown { .. })));
        assert!(matches!(choose("flex:x"), Err(DeviceError::Unknown { .. } | DeviceError::NotCompiled { .. })));
        if cfg!(all(feature = "flex", feature = "ndarray")) {
            assert_eq!(choose("cpu").unwrap().name, "flex (CPU)");
            assert_eq!(choose("ndarray").unwrap().name, "ndarray (CPU)");
            assert!(matches!(choose("flex:3"), Err(DeviceError::NoSuchIndex { count: 1, .. })));
            assert!(choose("auto").is_ok());
        }
        if cfg!(not(feature = "cuda")) {
            let error = choose("cuda:1").unwrap_err();
            assert_eq!(error, DeviceError::NotCompiled { backend: "cuda" });
            assert!(error.hint().unwrap().contains("feature cuda"));
        }
    }
}
