"""The contract as a batch computation: obvious, slow, and independent of the product's core.

From the raw events of both topics it computes every number that the streams publish: parse and drop copies, collect
the links, resolve each event to its developer and company in a plain loop, group by subject, read everything off
plain lists. It imports nothing of the product but `schemas.config.definitions`.
"""

from tests.support.reference.batch import compute
from tests.support.reference.erasure import Erasure
from tests.support.reference.events import Record, Rejection
from tests.support.reference.published import WINDOWS, Profile, Published, Resolved, differences

__all__ = ["WINDOWS", "Erasure", "Profile", "Published", "Record", "Rejection", "Resolved", "compute", "differences"]
