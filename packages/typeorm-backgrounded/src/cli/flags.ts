import { Option } from 'commander'

/** Flags that commands share. */

export function dataSourceOption(): Option {
  return new Option(
    '-d, --data-source <file>',
    'compiled file that exports the DataSource, as dist/data-source.js',
  ).makeOptionMandatory()
}

export function requireOption(): Option {
  return new Option('-r, --require <module>', 'load a module first; may be repeated')
    .argParser((module: string, all: readonly string[]) => [...all, module])
    .default([])
}
