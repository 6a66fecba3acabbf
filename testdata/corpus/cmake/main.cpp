#include <iostream>
#include "shape.hpp"
#include "version.hpp"
int main() {
    Circle circle(2);
    std::cout << circle.name() << ' ' << circle.area() << " (" VERSION ", " BUILT ")\n";
}
