"""Run by check_wheel.sh, in an environment that holds the wheel and nothing of the repository."""

import sys

before = set(sys.modules)
import logitmeter as lm  # noqa: E402  (what it loads is the question)

loaded = {
    name.partition(".")[0]
    for name in set(sys.modules) - before
    if "site-packages" in (getattr(sys.modules[name], "__file__", None) or "")
}
assert loaded <= {"logitmeter", "numpy"}, f"import logitmeter also loads {loaded}"
assert lm.__file__.startswith(sys.prefix), f"not the wheel: {lm.__file__}"

import numpy as np  # noqa: E402  (as above)

rng = np.random.default_rng(7)
logits = rng.normal(-2, 2.5, size=(300, 1000)).astype(np.float32)
labels = rng.integers(0, 1000, size=300)

report = lm.evaluate(logits, labels)

wide = logits.astype(np.float64)
picked = wide[np.arange(300), labels]
loss = float(np.mean(np.log(np.exp(wide).sum(axis=1)) - picked))
assert abs(report.loss - loss) < 1e-6 * loss, (report.loss, loss)  # f32's tolerance, not a bound
assert report.num_tokens == len(labels)
assert report.accuracy == float(np.mean(wide.argmax(axis=1) == labels))
