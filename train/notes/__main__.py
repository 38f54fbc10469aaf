"""``python -m train.notes``.

The program is :mod:`train.notes.task`: worker processes can't import what a package's ``__main__`` defines.
"""

from train.notes.task import main

if __name__ == "__main__":
    main()
