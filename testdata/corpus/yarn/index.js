const { chunk } = require("lodash");
console.log(require("left-pad")(chunk([1, 2, 3], 2).length, 3), typeof require("debug"));
