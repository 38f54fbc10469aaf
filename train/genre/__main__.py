"""``python -m train.genre``.

The program is :mod:`train.genre.task`: worker processes can't import what a package's ``__main__`` defines.
"""

from train.genre.task import main

if __name__ == "__main__":
    main()
