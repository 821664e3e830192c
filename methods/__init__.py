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

`docs/methods.md` says how to write one, what it promises, and how a method that shapes training (`SISA`),
one without epochs (`Fisher`) or one whose epochs have several parts (`Scrub`) is made of the same pieces.
"""

from methods.amnesiac import Amnesiac
from methods.amun import AMUN
from methods.bad_teacher import BadTeacher
from methods.blindspot import Blindspot
from methods.boundary import BoundaryExpand, BoundaryShrink
from methods.certified_head import CertifiedHead
from methods.certified_ridge import CertifiedRidge
from methods.cf_k import CFk
from methods.ct import CT
from methods.derivatives import all_derivatives
from methods.descent import Descent, Pass, loss_gradients, over_one_set, trainable
from methods.eu_k import EUk
from methods.finetune import FineTune
from methods.fisher import Fisher
from methods.gaussian_amnesiac import GaussianAmnesiac
from methods.influence import Influence
from methods.l1_sparse import L1Sparse
from methods.lotus import LoTUS
from methods.method import Method, Range, hyperparameter
from methods.msg import MSG
from methods.mu_mis import MUMis
from methods.neggrad import NegGrad
from methods.negmerge import NegMerge
from methods.noisy_finetune import NoisyFineTune
from methods.npo import NPO
from methods.original import Original
from methods.randomlabel import RandomLabel
from methods.retrain import Retrain
from methods.rmu import RMU
from methods.rum import RUM
from methods.salun import SalUn
from methods.scrub import Scrub
from methods.sfron import SFRon
from methods.simnpo import SimNPO
from methods.sisa import SISA
from methods.ssd import LFSSD, SSD
from methods.task import Batch, Diverged, Recorder, Samples, Task, Unsuitable
from methods.task_vector import TaskVector
from methods.uam import UAM
from methods.undial import UNDIAL
from methods.unsir import UNSIR
from methods.untrained import Untrained

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        *(Original, Retrain, Untrained),
        *(FineTune, CFk, EUk, L1Sparse, CT, MSG),
        *(NegGrad, RandomLabel, SalUn, UAM, SFRon, RUM),
        *(Scrub, BadTeacher, LoTUS),
        *(AMUN, BoundaryShrink, BoundaryExpand, UNSIR),
        *(Fisher, Influence, SSD, LFSSD, MUMis, NegMerge),
        *(SISA, Amnesiac),
        *(CertifiedHead, NoisyFineTune),
        *(GaussianAmnesiac, Blindspot, CertifiedRidge),
        *(NPO, SimNPO, RMU, UNDIAL, TaskVector),
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
    "loss_gradients",
    "over_one_set",
    "trainable",
]
