"""The grid: what the web knows by what the API knows, of the developer and of the company. A cell is a story.

                  API knows nobody               API knows developer               API knows company               API knows both
 web knows
 nobody           strangers on both sides        a key made on the command line    a gateway that knows            a gateway that knows
                                                                                   the account                     everything
 developer        a key of unknown owner         from the ad to the first call     two halves that do not meet     the api names where she works
 company          a company that reads           a developer who might             a company without people        one of its people
                                                 work there                                                        becomes known
 both             a team that does not call yet  her key works for her company     her company calls and not she   everyone knows everyone

A file is a row; `beyond.py` has stories of the two levels beside the grid, `story.py` what they are made of.
"""

from tests.support.grid import beyond, web_knows_both, web_knows_company, web_knows_developer, web_knows_nobody
from tests.support.grid.story import BEYOND, GRID, KNOWN, Story, shown

__all__ = [
    "BEYOND",
    "GRID",
    "KNOWN",
    "Story",
    "beyond",
    "shown",
    "web_knows_both",
    "web_knows_company",
    "web_knows_developer",
    "web_knows_nobody",
]
