#!/usr/bin/env python3
"""The first prototype: a class-conditional flow on Fashion-MNIST, trained for SECONDS on this CPU, in one file.

Usage: prototype.py SECONDS OUT.npy [SEED]    needs torch, numpy and /usr/share/datasets/fashion-mnist (Debian: dataset-fashion-mnist)
Writes 2,000 samples, float32 (2000,1,28,28) in -1..1, class i%10, made with 20 Heun steps. Score both its samples and yours with the same scorer, in the same hour.
"""
import gzip, math, sys, time
import numpy as np, torch
from torch import nn
import torch.nn.functional as F

def load(path='/usr/share/datasets/fashion-mnist/'):
    with gzip.open(path+'train-images-idx3-ubyte.gz') as f: x = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(path+'train-labels-idx1-ubyte.gz') as f: y = np.frombuffer(f.read(), np.uint8, offset=8)
    return torch.from_numpy(x.copy()).float()/127.5-1, torch.from_numpy(y.copy()).long()

class Res(nn.Module):
    def __init__(self, i, o, e):
        super().__init__()
        self.n1, self.c1, self.n2, self.c2 = nn.GroupNorm(8, i), nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(8, o), nn.Conv2d(o, o, 3, padding=1)
        self.e, self.skip = nn.Linear(e, 2*o), nn.Conv2d(i, o, 1) if i != o else nn.Identity()
        nn.init.zeros_(self.c2.weight); nn.init.zeros_(self.c2.bias)
    def forward(self, x, e):
        h = self.c1(F.silu(self.n1(x))); a, b = self.e(e)[:, :, None, None].chunk(2, 1)
        return self.skip(x) + self.c2(F.silu(self.n2(h)*(1+a)+b))

class Attn(nn.Module):
    def __init__(self, c, nh=4):
        super().__init__(); self.nh, self.n, self.qkv, self.o = nh, nn.GroupNorm(8, c), nn.Conv2d(c, 3*c, 1), nn.Conv2d(c, c, 1)
        nn.init.zeros_(self.o.weight); nn.init.zeros_(self.o.bias)
    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.n(x)).reshape(b, 3, self.nh, c//self.nh, h*w).permute(1, 0, 2, 4, 3)
        return x + self.o(F.scaled_dot_product_attention(q, k, v).permute(0, 1, 3, 2).reshape(b, c, h, w))

class UNet(nn.Module):
    def __init__(self, c=(32, 64), nb=2, e=192):
        super().__init__()
        self.te, self.ce, self.inp = nn.Sequential(nn.Linear(64, e), nn.SiLU(), nn.Linear(e, e)), nn.Embedding(11, e), nn.Conv2d(4, c[0], 3, padding=1)
        self.down, self.dn = nn.ModuleList(Res(c[0], c[0], e) for _ in range(nb)), nn.Conv2d(c[0], c[1], 3, 2, 1)
        self.mid, self.at, self.up = nn.ModuleList(Res(c[1], c[1], e) for _ in range(nb+1)), Attn(c[1]), nn.Conv2d(c[1], c[0], 1)
        self.ups = nn.ModuleList(Res(2*c[0] if i == 0 else c[0], c[0], e) for i in range(nb))
        self.on, self.out = nn.GroupNorm(8, c[0]), nn.Conv2d(c[0], 4, 3, padding=1)
        nn.init.zeros_(self.out.weight); nn.init.zeros_(self.out.bias)
    def forward(self, x, t, y):
        f = t[:, None]*10*torch.exp(-math.log(1000)*torch.arange(32)/32)[None]
        e = F.silu(self.te(torch.cat([f.sin(), f.cos()], 1)) + self.ce(y)); h = self.inp(F.pixel_unshuffle(x, 2))
        for b in self.down: h = b(h, e)
        z = self.dn(h)
        for i, b in enumerate(self.mid): z = self.at(b(z, e)) if i == 0 else b(z, e)
        h = torch.cat([h, F.interpolate(self.up(z), scale_factor=2)], 1)
        for b in self.ups: h = b(h, e)
        return F.pixel_shuffle(self.out(F.silu(self.on(h))), 2)

def main(secs, out, seed=0, bs=64, lr=3e-3):
    torch.manual_seed(seed); xs, ys = load(); mu, sd = xs.mean(), xs.std(); xs = (xs-mu)/sd; m = UNet()
    opt = torch.optim.AdamW(m.parameters(), lr, betas=(.9, .99), weight_decay=.01, fused=True); ema = [p.detach().clone() for p in m.parameters()]; t0, it = time.time(), 0
    while (fr := (time.time()-t0)/secs) < 1:
        for g in opt.param_groups: g['lr'] = lr*min(1, it/50)*(1 if fr < .3 else .5*(1+math.cos(math.pi*(fr-.3)/.7))+.01)
        i = torch.randint(0, len(xs), (bs,)); x, y = xs[i], ys[i].clone(); y[torch.rand(bs) < .1] = 10
        eps, t = torch.randn_like(x), torch.sigmoid(torch.randn(bs)); s = t[:, None, None, None]
        with torch.autocast('cpu', torch.bfloat16): v = m((1-s)*x+s*eps, t, y)
        loss = ((v.float()-(eps-x))**2).mean(); opt.zero_grad(); loss.backward(); opt.step(); it += 1
        with torch.no_grad(): torch._foreach_lerp_(ema, list(m.parameters()), 1-min(.998, max(0, 1-10/it)))
    with torch.no_grad():
        for p, e in zip(m.parameters(), ema): p.copy_(e)
    m.eval(); print(f'{it} steps, {it*bs/secs:.0f} images/s, {sum(p.numel() for p in m.parameters())/1e6:.2f} M parameters')
    @torch.no_grad()
    def vel(x, t, y):
        with torch.autocast('cpu', torch.bfloat16): return m(x, t.expand(len(x)), y).float()
    res, T = [], torch.linspace(1, 0, 21)
    for c in range(4):
        x, y = torch.randn(500, 1, 28, 28, generator=torch.Generator().manual_seed(1000*seed+c)), torch.arange(500) % 10
        for a, b in zip(T, T[1:]):
            d = vel(x, a, y); n = x+(b-a)*d
            x = x+(b-a)*(d+vel(n, b, y))/2 if b > 0 else n
        res.append(x)
    np.save(out, (torch.cat(res)*sd+mu).clamp(-1, 1).numpy())

if __name__ == '__main__':
    if len(sys.argv) < 3: sys.exit(__doc__)
    main(float(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:4]))
