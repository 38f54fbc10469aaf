"""``python -m train.bands``.

The program is :mod:`train.bands.task`: worker processes can't import what a package's ``__main__`` defines.
"""

from train.bands.task import main

if __name__ == "__main__":
    main()
