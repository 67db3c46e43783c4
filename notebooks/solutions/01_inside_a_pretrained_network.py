# %% [markdown]
# # Worked answers to notebook 01

# %%
import numpy as np
import torch

from helpers.backbones import load_backbone
from helpers.lessons import check
from helpers.lessons.network_inspection import imagenet_samples, stage_table

lite = load_backbone("efficientnet_lite0")

# %% [markdown]
# **01.1** Each class has a weight for each feature, and one bias.

# %%
answer = 7 * lite.feature_size + 7
check("01.1", answer)

# %% [markdown]
# **01.2** The column is in percent already, and rows 0 to 5 are the first six stages.

# %%
answer = stage_table(lite)["FLOPs (%)"][:6].sum()
check("01.2", answer)

# %% [markdown]
# **01.3** We can let it happen and count. One batch of noise in training mode, all parameters frozen:

# %%
pocket = load_backbone("pocket").requires_grad_(False).train()
before = {name: buffer.clone() for name, buffer in pocket.named_buffers() if "running" in name}
torch.manual_seed(0)
pocket(torch.randn(8, 1, 28, 28))
after = dict(pocket.named_buffers())
answer = sum(int((after[name] != value).sum()) for name, value in before.items())
check("01.3", answer)

# %% [markdown]
# **01.4** The same pictures twice, the second time with their rows in reverse order.

# %%
images, labels = imagenet_samples()
judge = load_backbone("efficientnet_lite0", size=224)
(classifier,) = judge.source_head
truth = []
for shown in (images, images[:, ::-1].copy()):
    with torch.inference_mode():
        features = judge.pool(judge(judge.prepare(torch.tensor(shown))))
        scores = classifier(features).log_softmax(1).numpy()
    truth.append(scores[np.arange(20), labels])
answer = (truth[1] - truth[0]).mean()
check("01.4", answer)
