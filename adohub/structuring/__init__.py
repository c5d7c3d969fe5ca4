"""Between JSON and typed attrs objects: nothing is coerced, and every fault is told with its path.

Two readers know the same types. The quick one is what cattrs generates; it runs once per message and stops
at the first fault without a word. Only where it stopped, the careful one reads the value again, fault by
fault. The careful reader is the law and the quick one its shortcut: a test holds that they agree.
"""

from adohub.structuring.faults import Fault, StructureError, did_you_mean, path_text, shown
from adohub.structuring.marks import Marks, Varying
from adohub.structuring.structurer import Structurer, own_name, strict, wire, wire_name

__all__ = [
    "Fault",
    "Marks",
    "StructureError",
    "Structurer",
    "Varying",
    "did_you_mean",
    "own_name",
    "path_text",
    "shown",
    "strict",
    "wire",
    "wire_name",
]
