"""``python -m train.spelling``.

The program is :mod:`train.spelling.task`: worker processes can't import what a package's ``__main__`` defines.
"""

from train.spelling.task import main

if __name__ == "__main__":
    main()
