"The first prototype of this project (../prototype.py): a rectified flow with its own U-Net, AdamW, 20 Heun steps"
import importlib.util
import math
import time
from pathlib import Path
import torch


def _unet():
    spec = importlib.util.spec_from_file_location('prototype', Path(__file__).resolve().parent.parent/'prototype.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.UNet()


def train(dls, seed, seconds, bs=64, lr=3e-3):
    torch.manual_seed(seed)
    start, secs, every = time.time(), .85 * seconds, dls.train[:]
    xs, ys, i, m = every['image'], every['label'], 0, _unet()
    mu, sd = xs.mean(), xs.std()
    xs = (xs - mu) / sd
    opt = torch.optim.AdamW(m.parameters(), lr, betas=(.9, .99), weight_decay=.01, fused=True)
    ema = [p.detach().clone() for p in m.parameters()]
    while (at := (time.time() - start) / secs) < 1:
        down = 1 if at < .3 else .5 * (1 + math.cos(math.pi * (at - .3) / .7)) + .01
        for g in opt.param_groups: g['lr'] = lr * min(1, i / 50) * down
        rows = torch.randint(0, len(xs), (bs,))
        x, y = xs[rows], ys[rows].clone()
        y[torch.rand(bs) < .1] = 10
        eps, t = torch.randn_like(x), torch.sigmoid(torch.randn(bs))
        s = t[:, None, None, None]
        with torch.autocast('cpu', torch.bfloat16): v = m((1 - s) * x + s * eps, t, y)
        loss = ((v.float() - (eps - x))**2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        i += 1
        with torch.no_grad(): torch._foreach_lerp_(ema, list(m.parameters()), 1 - min(.998, max(0, 1 - 10 / i)))
    with torch.no_grad():
        for p, e in zip(m.parameters(), ema): p.copy_(e)
    m.eval()

    @torch.no_grad()
    def velocity(x, t, y):
        with torch.autocast('cpu', torch.bfloat16): return m(x, t.expand(len(x)), y).float()

    def sample(label, seed):
        x, times = torch.randn(len(label), 1, 28, 28, generator=torch.Generator().manual_seed(seed)), torch.linspace(1, 0, 21)
        for a, b in zip(times, times[1:]):
            d = velocity(x, a, label)
            n = x + (b - a) * d
            x = x + (b - a) * (d + velocity(n, b, label)) / 2 if b > 0 else n
        return x * sd + mu
    return sample
