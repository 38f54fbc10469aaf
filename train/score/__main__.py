"""``python -m train.score``.

The program is :mod:`train.score.task`: worker processes can't import what a package's ``__main__`` defines.
"""

from train.score.task import main

if __name__ == "__main__":
    main()
