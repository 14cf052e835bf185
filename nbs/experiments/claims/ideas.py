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


def emoji(bs):
    "Data loaders of about 1,300 emoji of Noto Color Emoji, 32x32 RGB without classes, mirrored at random; 400 held out"
    from PIL import Image, ImageDraw, ImageFont
    from diffnb.data.batches import flip, split_random
    from diffnb.data.block import DataBlock
    from diffnb.data.fields import Image as ImageField
    font = ImageFont.truetype('/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf', 109)

    def draw(code):
        sheet = Image.new('RGBA', (136, 128), (255, 255, 255, 255))
        ImageDraw.Draw(sheet).text((0, 0), chr(code), font=font, embedded_color=True)
        return sheet.convert('RGB').resize((32, 32), Image.Resampling.BOX)
    missing, found = draw(0x10ffff).tobytes(), {}
    for code in [*range(0x2600, 0x27c0), *range(0x1f300, 0x1fb00)]:
        image = draw(code)
        if image.tobytes() != missing: found.setdefault(image.tobytes(), image)
    block = DataBlock({'image': ImageField(mode='RGB')}, split=split_random(400 / len(found)), bs=bs, tfms=[flip()])
    return block.dataloaders(list(found.values()), name='Noto Color Emoji', verbose=False)
