"""Finding connections and variables, and keeping their values out of what people read.

:mod:`.chain` asks one place after another, :mod:`.helper` is the process that holds the secrets backends of providers,
:mod:`.masking` hides values in texts. A supervisor holds a :class:`~windlass.secrets.resolver.Resolver`, which never
blocks; the command line uses its blocking form.
"""
