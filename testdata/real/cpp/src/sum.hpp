#pragma once
#include <cstdint>
#include <string>

std::uint32_t sum(const std::string &text);
