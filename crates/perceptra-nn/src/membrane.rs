//! Simulation of a biological neuron, after which the artificial one was modeled.

use burn::tensor::{Device, Tensor};

/// Hodgkin and Huxley's model of the squid axon's membrane (*J. Physiol.* 117:500, 1952), at 6.3 °C, with today's signs: the
/// resting potential is near −65 mV.
///
/// C dV/dt = I − ḡ_Na m³h (V − E_Na) − ḡ_K n⁴ (V − E_K) − ḡ_L (V − E_L), and dx/dt = α_x(V)(1 − x) − β_x(V)x for each of the gating
/// variables m, h and n; V is the membrane's potential, I the current. Many membranes, each with its own current, are integrated at
/// once, by the Runge-Kutta method of fourth order in steps of 0.05 ms.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use perceptra_nn::HodgkinHuxley;
///
/// let currents = Tensor::<1>::from_floats([0.0, 10.0], &Device::flex());
/// let rates = HodgkinHuxley::default().firing_rates(currents, 200.0).try_into_vec_as::<f32>().unwrap();
/// assert_eq!(rates[0], 0.0);
/// assert!((60.0..75.0).contains(&rates[1]), "{rates:?}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HodgkinHuxley {
    /// Capacitance C of the membrane, in µF/cm².
    pub capacitance: f64,
    /// Maximum conductances ḡ_Na, ḡ_K and ḡ_L of sodium, potassium and the leak, in mS/cm².
    pub conductances: [f64; 3],
    /// Reversal potentials E_Na, E_K and E_L of sodium, potassium and the leak, in mV.
    pub reversals: [f64; 3],
}

impl Default for HodgkinHuxley {
    fn default() -> Self {
        Self { capacitance: 1.0, conductances: [120.0, 36.0, 0.3], reversals: [50.0, -77.0, -54.387] }
    }
}

/// Step of the integration, in ms.
const STEP: f64 = 0.05;

/// Time before spikes are counted, in ms: a membrane answers the onset of a weak current with a spike or two.
const ONSET: f64 = 100.0;

/// State of all membranes: the potential V in mV and the gating variables m, h and n, each with one value per membrane.
type State = [Tensor<1>; 4];

impl HodgkinHuxley {
    /// The rate at which each membrane fires under a steady current, in spikes per second: the inverse of the mean
    /// interval between spikes (V rising through 0 mV), the first 100 ms left out; 0 for fewer than two spikes.
    ///
    /// # Shapes
    ///
    /// - currents: `[membranes]`, in µA/cm²
    /// - result: `[membranes]`
    ///
    /// `duration` is in ms, beyond the first 100.
    pub fn firing_rates(&self, currents: Tensor<1>, duration: f64) -> Tensor<1> {
        let zeros = currents.zeros_like();
        let (mut count, mut first, mut last) = (zeros.clone(), zeros.clone(), zeros.clone());
        let mut above = zeros;
        self.integrate(currents, ONSET + duration, |time, v| {
            let now = v.clone().greater_equal_elem(0.0).float();
            if time > ONSET {
                let spike = (now.clone() - above.clone()).clamp_min(0.0);
                let unseen = spike.clone() * (count.clone().neg() + 1.0).clamp_min(0.0);
                first = first.clone() + unseen * time;
                last = last.clone() + spike.clone() * (last.clone().neg() + time);
                count = count.clone() + spike;
            }
            above = now;
        });
        // With fewer than two spikes, first and last are the same.
        let intervals = (count - 1.0).clamp_min(0.0);
        intervals * 1000.0 / (last - first).clamp_min(STEP)
    }

    /// The membrane potentials over time, a row every 0.05 ms.
    ///
    /// # Shapes
    ///
    /// - currents: `[membranes]`, in µA/cm²
    /// - result: `[duration / 0.05, membranes]`, in mV
    ///
    /// `duration` is in ms, at least 0.05.
    pub fn potentials(&self, currents: Tensor<1>, duration: f64) -> Tensor<2> {
        let mut rows = Vec::new();
        self.integrate(currents, duration.max(STEP), |_, v| rows.push(v.clone()));
        Tensor::stack(rows, 0)
    }

    /// Integrates from the resting state for `duration` ms; calls `each` with the time in ms and V after every step.
    #[expect(clippy::needless_pass_by_value, reason = "tensors are handed on by value, as in Burn")]
    fn integrate(&self, currents: Tensor<1>, duration: f64, mut each: impl FnMut(f64, &Tensor<1>)) {
        let mut state = Self::rest(currents.dims()[0], &currents.device());
        let along = |state: &State, slope: &State, by: f64| -> State {
            std::array::from_fn(|i| state[i].clone() + slope[i].clone() * by)
        };
        for step in 1..=(duration / STEP).round() as usize {
            let k1 = self.slopes(&state, &currents);
            let k2 = self.slopes(&along(&state, &k1, STEP / 2.0), &currents);
            let k3 = self.slopes(&along(&state, &k2, STEP / 2.0), &currents);
            let k4 = self.slopes(&along(&state, &k3, STEP), &currents);
            state = std::array::from_fn(|i| {
                let middle = (k2[i].clone() + k3[i].clone()) * 2.0;
                state[i].clone() + (k1[i].clone() + middle + k4[i].clone()) * (STEP / 6.0)
            });
            each(step as f64 * STEP, &state[0]);
        }
    }

    /// The resting state, which does not change without a current.
    fn rest(membranes: usize, device: &Device) -> State {
        [-64.996_4, 0.052_955_1, 0.595_994_2, 0.317_732_4].map(|x| Tensor::full([membranes], x, device))
    }

    /// Time derivative of the state, per ms.
    fn slopes(&self, [v, m, h, n]: &State, currents: &Tensor<1>) -> State {
        let [g_na, g_k, g_l] = self.conductances;
        let [e_na, e_k, e_l] = self.reversals;
        let v = || v.clone();
        let exp = |shift: f64, scale: f64| ((v() + shift) * (-1.0 / scale)).exp();
        let gate = |x: &Tensor<1>, alpha: Tensor<1>, beta: Tensor<1>| alpha.clone() - x.clone() * (alpha + beta);
        let squared = n.clone() * n.clone();
        let sodium = m.clone() * m.clone() * m.clone() * h.clone() * (v() - e_na) * g_na;
        let potassium = squared.clone() * squared * (v() - e_k) * g_k;
        let leak = (v() - e_l) * g_l;
        [
            (currents.clone() - sodium - potassium - leak) / self.capacitance,
            gate(m, ratio((v() + 40.0) * 0.1), exp(65.0, 18.0) * 4.0),
            gate(h, exp(65.0, 20.0) * 0.07, (exp(35.0, 10.0) + 1.0).recip()),
            gate(n, ratio((v() + 55.0) * 0.1) * 0.1, exp(65.0, 80.0) * 0.125),
        ]
    }
}

/// x / (1 − e⁻ˣ), 1 at 0: written as ½x + ½|x| / tanh ½|x|, which loses no digits near 0.
fn ratio(x: Tensor<1>) -> Tensor<1> {
    let half = x.clone().abs().clamp_min(1e-4) * 0.5;
    x * 0.5 + half.clone() / half.tanh()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::testing::values;

    fn rates(currents: &[f32], duration: f64) -> Vec<f32> {
        values(HodgkinHuxley::default().firing_rates(Tensor::from_floats(currents, &Device::flex()), duration))
    }

    #[test]
    fn rest_stays_at_rest() {
        let device = Device::flex();
        let v = values(HodgkinHuxley::default().potentials(Tensor::zeros([1], &device), 50.0));
        assert_eq!(v.len(), 1000);
        assert!(v.iter().all(|v| (v + 65.0).abs() < 0.05), "{:?} to {:?}", v[0], v[999]);
    }

    // Repetitive firing begins at 6.2 to 6.3 µA/cm², at once with some 50 spikes a second (Rinzel, 1978; Izhikevich,
    // Dynamical Systems in Neuroscience, 2007).
    #[test]
    fn it_fires_from_the_textbooks_threshold_on_and_faster_with_the_current() {
        let currents: Vec<f32> = (0..12).map(|i| 5.5 + 0.1 * i as f32).collect();
        let near = rates(&currents, 300.0);
        let onset = near.iter().position(|r| *r > 0.0).map(|i| currents[i]).unwrap();
        assert!((6.0..6.5).contains(&onset), "{onset}: {near:?}");
        assert!(near.iter().all(|&r| r == 0.0 || (45.0..60.0).contains(&r)), "{near:?}");
        let far = rates(&[0.0, 3.0, 7.0, 10.0, 20.0, 40.0, 60.0], 300.0);
        assert_eq!(far[..2], [0.0, 0.0]);
        assert!(far[1..].windows(2).all(|w| w[1] > w[0]), "{far:?}");
        // Saturating: each further microampere adds less.
        let slopes = [(far[4] - far[3]) / 10.0, (far[5] - far[4]) / 20.0, (far[6] - far[5]) / 20.0];
        assert!(slopes[0] > slopes[1] && slopes[1] > slopes[2], "{slopes:?}");
    }

    #[test]
    fn the_ratio_is_smooth_at_0() {
        let x = [-2.0f32, -1e-3, 0.0, 1e-3, 2.0];
        let got = values(ratio(Tensor::from_floats(x, &Device::flex())));
        for (x, got) in x.into_iter().zip(got) {
            let x = f64::from(x);
            let expected = if x == 0.0 { 1.0 } else { -x / (-x).exp_m1() };
            assert!((f64::from(got) - expected).abs() < 1e-6, "{x}: {got}, {expected}");
        }
    }
}
