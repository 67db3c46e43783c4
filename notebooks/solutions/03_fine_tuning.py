# %% [markdown]
# # Worked answers to notebook 03

# %%
import torch

from helpers.backbones import load_backbone
from helpers.experiments import count_parameters
from helpers.lessons import check
from helpers.results import comparable, load_runs, summarise

# %% [markdown]
# **03.1** The top three stages are the last three in the list.

# %%
sizes = [count_parameters(stage)[1] for stage in load_backbone("pocket").stages]
answer = sum(sizes[-3:]) / sum(sizes)
check("03.1", answer)

# %% [markdown]
# **03.2** The optimizer held the backbone's weights, and `model.train()` let BatchNorm count on.


# %%
def train_head(model, X, y, steps):
    model.train()
    model.backbone.eval()
    optimizer = torch.optim.SGD(model.head.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()


answer = train_head
check("03.2", answer)

# %% [markdown]
# **03.3** In evaluation mode a BatchNorm layer uses its statistics and leaves them alone. Its scale
# and shift are parameters and go on learning. `model.train()` undoes this, so call the function after
# it, in every epoch.


# %%
def keep_statistics(model):
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()


answer = keep_statistics
check("03.3", answer)

# %% [markdown]
# **03.4** `summarise` carries the mean accuracy on the source task along.

# %%
movers = ["partial_fine_tuning", "full_fine_tuning", "lp_ft"]
runs = comparable(load_runs(backbone="pocket", task="textile", dial=0.0, n_train=200))
runs = runs[runs["approach"].isin(movers)]
table = summarise(runs, by=("approach",)).sort_values("source_accuracy_after")
answer = table["approach"].iloc[-1]
check("03.4", answer)
