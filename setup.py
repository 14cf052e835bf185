"Installs diffnb: everything it knows is read from settings.ini."
import sys
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
ini = ConfigParser(delimiters=['='])
ini.read(here/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
# pip install -e also makes .ci/book.py importable, for nbdev to build the site with; nothing else packs it
tools = {'diffnb_ci': '.ci'} if 'editable_wheel' in sys.argv and (here/'.ci').is_dir() else {}

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'],
    author=cfg['author'], author_email=cfg['author_email'], url=cfg['git_url'], license='Apache-2.0',
    license_files=['LICENSE', 'diffnb/assets/*LICENSE*'],
    long_description=(here/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
    classifiers=['Programming Language :: Python :: 3', 'Topic :: Scientific/Engineering :: Artificial Intelligence'],
    packages=[*find_packages(include=['diffnb', 'diffnb.*']), *tools], package_dir=tools,
    package_data={'diffnb': ['assets/**', 'py.typed']}, include_package_data=False,
    python_requires=f">={cfg['min_python']}", install_requires=cfg['requirements'].split(),
    extras_require={k.removesuffix('_requirements'): v.split() for k, v in cfg.items() if k.endswith('_requirements')},
    entry_points={'console_scripts': cfg['console_scripts'].split(), 'nbdev': [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"]},
    zip_safe=False)
