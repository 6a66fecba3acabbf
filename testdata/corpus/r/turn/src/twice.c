void twice(int *n) { *n *= 2; }
