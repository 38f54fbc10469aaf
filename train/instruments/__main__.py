"""``python -m train.instruments``.

The program is :mod:`train.instruments.task`: worker processes can't import what a package's ``__main__`` defines.
"""

from train.instruments.task import main

if __name__ == "__main__":
    main()
