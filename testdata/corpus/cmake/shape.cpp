#include "shape.hpp"
std::string Shape::name() const { return "shape"; }
