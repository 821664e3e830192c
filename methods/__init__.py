"""Machine-unlearning methods: what unlearning is, and nothing of sweeps, files or schedulers.

A method is one file holding one frozen dataclass. Its fields are its hyperparameters (each with a default, valid
bounds, a search range and one line of meaning, see `hyperparameter`); its `unlearn` turns the original model into the
unlearned one:

    class Method:
        name, version, source                          # identity, and where it was published
        def unlearn(self, task: Task) -> nn.Module     # w0, D_r, D_f, loss, recipe -> unlearned model

`Task` holds everything a method may use: the original model, the retain and forget sets, the task's own loss, the
original's training recipe, named random generators, and a recorder of cost and path. Gradient methods inherit from
`Descent` and say only which gradient they follow.

How other families fit the same interface:

* **SISA** shapes the original's training before any forget request exists. It names the hyperparameters that do so in
  `shapes_training = ("shards", "slices")`, so that its original has an identity of its own, returns a module of
  `shards` sub-networks (and buffers for the per-slice checkpoints) from `build_original`, and fits them one by one in
  `train_original`. `unlearn` finds the shards touched from `task.forget.index` (rows of the training set, so that a
  rule such as `index % shards` needs no bookkeeping), retrains only those with `task.fit`, and returns the ensemble:
  a module whose forward averages the sub-networks is as good a model as any other.
* **Amnesiac** learning logs what each batch changed during training. It brings its training loop: its own epochs and
  batch size are the hyperparameters named in `shapes_training`, `build_original` adds buffers for the log (an update
  and the row numbers of every batch, so their sizes follow from `len(train)`), `train_original` fills them, and
  `unlearn` subtracts the updates of the batches in which `task.forget.index` appears.
* A **retain-free** method does not touch `task.retain`; one with no epochs (`fisher`, `influence`) does not inherit
  from `Descent`. Distillation (SCRUB, BadTeacher) copies `task.model` as its teacher. Whatever the loss is (regression,
  a language model's), it is asked of `task.loss`, never assumed to be cross-entropy.
"""

from methods.cf_k import CFk
from methods.derivatives import all_derivatives
from methods.descent import Descent, Pass, trainable
from methods.eu_k import EUk
from methods.finetune import FineTune
from methods.fisher import Fisher
from methods.influence import Influence
from methods.l1_sparse import L1Sparse
from methods.method import Method, Range, hyperparameter
from methods.neggrad import NegGrad
from methods.original import Original
from methods.randomlabel import RandomLabel
from methods.retrain import Retrain
from methods.salun import SalUn
from methods.ssd import LFSSD, SSD
from methods.task import Batch, Diverged, Recorder, Samples, Task, Unsuitable
from methods.uam import UAM

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        Original,
        Retrain,
        FineTune,
        NegGrad,
        RandomLabel,
        Fisher,
        Influence,
        UAM,
        L1Sparse,
        SalUn,
        SSD,
        LFSSD,
        CFk,
        EUk,
    )
}

__all__ = [
    "METHODS",
    "Batch",
    "Descent",
    "Diverged",
    "Method",
    "Pass",
    "Range",
    "Recorder",
    "Samples",
    "Task",
    "Unsuitable",
    "all_derivatives",
    "hyperparameter",
    "trainable",
]
