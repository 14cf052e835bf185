"A script as a user would write it, for a strict type checker: own network, training, guidance, samples, scores."
from functools import partial

import torch
from torch import Tensor, nn

from diffnb.core.random import rng
from diffnb.core.show import image_grid
from diffnb.core.types import Images
from diffnb.data.block import fashion_mnist
from diffnb.data.spec import DataSpec
from diffnb.denoise.recipe import recipes
from diffnb.learn.learner import Learner
from diffnb.steer.guide import cfg
from diffnb.sample.steps import heun
from diffnb.train.unet import init_weights


class Mine(nn.Module):
    "Two convolutions with the noise level and the class added between them"
    def __init__(self, spec: DataSpec, width: int = 32) -> None:
        super().__init__()
        self.in_channels = spec.in_channels
        self.first = nn.Conv2d(spec.in_channels, width, 3, padding=1)
        self.level, self.label = nn.Linear(1, width), nn.Embedding(len(spec.classes) + 1, width)
        self.last = nn.Conv2d(width, spec.shape[0], 3, padding=1)

    def forward(self, x: Images, c_noise: Tensor, label: Tensor | None = None) -> Images:
        n = self.label.num_embeddings
        y = torch.full((len(x),), n - 1, device=x.device) if label is None else label % n
        code = self.level(c_noise[:, None]) + self.label(y)
        return self.last(torch.relu(self.first(x) + code[:, :, None, None]))


def mine(spec: DataSpec, seed: int) -> nn.Module:
    return init_weights(Mine(spec), rng(seed, 'weights'))


if __name__ == '__main__':
    dls = fashion_mnist('embedded')
    learn = Learner(dls, mine, recipes['two_minutes'], seed=1).fit(steps=20)
    images = learn.sample(10, label=['bag', 'coat'], guide=partial(cfg, scale=2.), step=heun(), n_steps=10)
    image_grid(dls.spec.to_uint8(images)).save('samples.png')
    scores = learn.evaluate(100, n_steps=10)
    print(scores.samples['FD fashion'].value, scores.floor['FD fashion'].value)
