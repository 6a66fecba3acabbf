const ms = require("ms");
const { v5 } = require("uuid");
console.log(ms("2h"), v5("cairn", v5.DNS).length);
