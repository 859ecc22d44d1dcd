"""Learn to tell shapes apart, and serve what was learnt: the library behind the DAG and inside the pod.

``drawing`` makes the images, ``images`` reads them, ``model`` is the network, ``training`` teaches it and ``serving``
answers for it. What needs torch imports it inside, or is imported inside a task: a DAG file parses without it.
"""
