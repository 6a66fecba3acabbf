#pragma once
#include <string>
struct Shape {
    virtual ~Shape() = default;
    virtual std::string name() const;
    virtual double area() const { return 0; }
};
struct Circle : Shape {
    explicit Circle(double radius) : radius(radius) {}
    std::string name() const override;
    double area() const override;
    double radius;
};
