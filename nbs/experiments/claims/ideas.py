"Parts of the claims that the library does not have"
import torch
import torch.nn.functional as F
from functools import partial
from scipy.optimize import linear_sum_assignment
from diffnb.core.types import append_dims
from diffnb.train.unet import ResBlock, adaptive_group_norm, unet


class AdditiveBlock(ResBlock):
    "Residual block that adds the embedding before the norm instead of scaling and shifting after it"
    def forward(self, x, emb):
        h = self.conv1(x)
        scale, shift = self.modulate(emb).chunk(2, 1)
        h = adaptive_group_norm(h + append_dims(shift, h), torch.ones_like(scale), torch.zeros_like(shift))
        return self.skip(x) + self.conv2(F.silu(h))


def _additive(spec, seed=0, width=16):
    net = unet(spec, seed, width)
    for m in net.modules():
        if isinstance(m, ResBlock): m.__class__ = AdditiveBlock
    return net


def additive(width=16):
    "U-Net whose noise level and class are added to the features (Dhariwal and Nichol 2021, section 3)"
    return partial(_additive, width=width)


def ot_noise(x0, sigma, eps):
    "Noise of a batch, assigned to its images with the least total squared distance"
    cost = torch.cdist(x0.flatten(1).double(), eps.flatten(1).double()).square()
    _, order = linear_sum_assignment(cost.cpu().numpy())
    return x0 + append_dims(sigma, x0) * eps[torch.as_tensor(order)]


def minibatch_ot():
    "Corruption with the minibatch optimal transport coupling (Tong et al. 2023, arXiv:2302.00482)"
    return ot_noise
