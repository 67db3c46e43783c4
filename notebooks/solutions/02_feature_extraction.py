# %% [markdown]
# # Worked answers to notebook 02

# %%
import torch

from helpers.backbones import load_backbone
from helpers.lessons import check
from helpers.results import comparable, load_runs, paired_gain
from helpers.tasks import load_task

# %% [markdown]
# **02.1** A weight for each pair of feature and class, and a bias for each class.

# %%
answer = 1_280 * 2 + 2
check("02.1", answer)

# %% [markdown]
# **02.2** The same network with random weights differs in the pretraining alone. More examples or a
# larger network change something else as well.

# %%
answer = "b"
check("02.2", answer)

# %% [markdown]
# **02.3** In training mode BatchNorm updates its averages with every batch, gradients or not.

# %%
base = load_backbone("pocket").train()
before = {name: value.clone() for name, value in base.state_dict().items()}
cells = load_task("solar_cells", n_train=32, image_size=28)
base(base.prepare(torch.from_numpy(cells.train.inputs)))
answer = [name for name, value in base.state_dict().items() if not torch.equal(value, before[name])]
check("02.3", answer)

# %% [markdown]
# **02.4** Pairing by seed removes the luck of the draw, which both approaches share.

# %%
runs = comparable(load_runs(backbone="pocket", task="digits", dial=0.0, n_train=200))
gains = paired_gain(runs, "full_fine_tuning", "feature_extraction")
answer = 100 * gains["mean"].iloc[0]
check("02.4", answer)
