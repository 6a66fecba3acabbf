#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *add(PyObject *self, PyObject *arguments) {
    long one, two;
    if (!PyArg_ParseTuple(arguments, "ll", &one, &two))
        return NULL;
    return PyLong_FromLong(one + two);
}

static PyMethodDef methods[] = {{"add", add, METH_VARARGS, "Adds."}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fastsum", __DATE__, -1, methods};

PyMODINIT_FUNC PyInit__fastsum(void) { return PyModule_Create(&module); }
