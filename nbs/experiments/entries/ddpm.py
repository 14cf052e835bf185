"The usual starting point: DDPM's objective with a linear schedule, Adam at a constant rate, 50 DDIM steps"
import torch
from diffnb.denoise.recipe import recipes
from diffnb.learn.learner import Learner
from diffnb.sample.samplers import samplers


def train(dls, seed, seconds):
    learn = Learner(dls, recipe=recipes['ddpm'], lr=1e-3, opt=torch.optim.Adam, seed=seed)
    learn.fit(minutes=.85 * seconds / 60, lr_schedule=lambda progress: 1.)
    return lambda label, seed: learn.sample(len(label), label.tolist(), seed, bs=250, n_steps=50, step=samplers['ddim'])
