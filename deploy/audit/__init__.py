"""`firstcall audit`: every published number, recomputed from the rows of events and compared.

event_rows ─▶ recomputation (SQL, working tables) ─▶ comparison ◀─ views that dashboards read
"""

from deploy.audit.comparison import Difference, Finding
from deploy.audit.run import Audit, Progress, audit

__all__ = ["Audit", "Difference", "Finding", "Progress", "audit"]
