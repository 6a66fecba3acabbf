const chalk = require("chalk");
const { nanoid } = require("nanoid");
const yargs = require("yargs");
console.log(chalk.reset("linked"), nanoid().length, typeof yargs.parse);
