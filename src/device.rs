//! Which device to compute on: the only place that knows backends by name.

use burn::tensor::Device;

/// A device this program can compute on.
#[derive(Debug, Clone)]
pub struct Found {
    /// What to write after `--device`, such as `wgpu:0`.
    pub flag: String,
    /// The device's own name.
    pub name: String,
    /// Whether it is a real GPU, not a CPU nor a GPU played by a CPU.
    pub is_gpu: bool,
    /// The device.
    pub device: Device,
}

/// The device that [`choose`] took, and why.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The device.
    pub device: Device,
    /// What it is, such as `flex (CPU)`.
    pub name: String,
    /// Why it was taken.
    pub why: String,
}

/// A device that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No backend of this name exists.
    #[error("there is no device {flag:?}")]
    Unknown {
        /// What was asked for.
        flag: String,
    },
    /// The backend exists and is not part of this program.
    #[error("the backend {backend} is not compiled into this program, which has {}", compiled())]
    NotCompiled {
        /// The backend.
        backend: &'static str,
    },
    /// The backend is there and finds no device.
    #[error("{backend} finds no device")]
    NoAdapter {
        /// The backend.
        backend: &'static str,
    },
    /// A number beyond the devices there are.
    #[error("there is no device {flag}: {backend} has {count}, numbered from 0")]
    NoSuchIndex {
        /// What was asked for.
        flag: String,
        /// The backend.
        backend: &'static str,
        /// Its devices.
        count: usize,
    },
    /// A program without any backend.
    #[error("no backend is compiled into this program")]
    NoBackend,
}

impl DeviceError {
    /// How to mend it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { .. } => format!("there are auto, cpu and {}", BACKENDS.join(", ")),
            Self::NotCompiled { backend } => format!("build with --features {backend}, or use --device cpu"),
            Self::NoAdapter { backend: "cuda" } => "install NVIDIA's driver, or use --device cpu".into(),
            Self::NoAdapter { .. } => {
                "install the GPU's Vulkan driver (on Debian and Ubuntu the package mesa-vulkan-drivers, which also has a \
                 software one; for NVIDIA its own driver), or use --device cpu"
                    .into()
            }
            Self::NoSuchIndex { .. } => "perceptra devices lists them".into(),
            Self::NoBackend => "build with the default features, or with --features flex".into(),
        })
    }
}

/// Every backend by name, fast CPU first.
const BACKENDS: [&str; 7] = ["flex", "ndarray", "cuda", "metal", "vulkan", "webgpu", "wgpu"];

/// The backends in this program, for messages.
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

/// Every device of every backend in this program.
pub fn list() -> Vec<Found> {
    BACKENDS.into_iter().flat_map(found).collect()
}

/// What keeps backends in this program from having a device, a line each.
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

/// Takes the device that `flag` asks for: `auto`, `cpu`, or a backend (`flex`, `ndarray`, `wgpu`, `cuda`, `vulkan`, `metal`,
/// `webgpu`), the latter five also with the number of a device (`wgpu:1`).
///
/// `auto` is a real GPU if one is there, else flex, else ndarray; `cpu` is flex, else ndarray. A GPU backend without a
/// number takes its first real GPU, else its first device.
///
/// # Errors
///
/// A [`DeviceError`] that says what is missing.
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
            Ok(take(any, "there is no other".into()))
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
            Ok(take(devices.swap_remove(index), "it was asked for".into()))
        }
    }
}

/// The devices of one backend; none if it is not compiled in.
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
    // Drivers that are half there panic when they are asked.
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
            // A software rasteriser has no card behind it.
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
    fn flags_choose_or_say_what_is_missing() {
        assert!(matches!(choose("gpu"), Err(DeviceError::Unknown { .. })));
        assert!(matches!(choose("flex:x"), Err(DeviceError::Unknown { .. }) | Err(DeviceError::NotCompiled { .. })));
        if cfg!(all(feature = "flex", feature = "ndarray")) {
            assert_eq!(choose("cpu").unwrap().name, "flex (CPU)");
            assert_eq!(choose("ndarray").unwrap().name, "ndarray (CPU)");
            assert!(matches!(choose("flex:3"), Err(DeviceError::NoSuchIndex { count: 1, .. })));
            assert!(choose("auto").is_ok());
        }
        if cfg!(not(feature = "cuda")) {
            let error = choose("cuda:1").unwrap_err();
            assert_eq!(error, DeviceError::NotCompiled { backend: "cuda" });
            assert!(error.hint().unwrap().contains("--features cuda"));
        }
    }
}
