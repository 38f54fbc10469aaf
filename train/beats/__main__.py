"""``python -m train.beats``.

The program is :mod:`train.beats.task`: worker processes can't import what a package's ``__main__`` defines.
"""

from train.beats.task import main

if __name__ == "__main__":
    main()
