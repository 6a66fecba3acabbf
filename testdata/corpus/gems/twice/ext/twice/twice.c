#include <ruby.h>

static VALUE count(VALUE self) { return INT2FIX(2); }

void Init_twice(void) { rb_define_singleton_method(rb_define_module("Twice"), "count", count, 0); }
