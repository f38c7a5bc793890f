import { Option } from 'commander'

export function dataSourceOption(): Option {
  return new Option(
    '-d, --data-source <file>',
    'compiled file that exports the DataSource, such as dist/data-source.js',
  ).makeOptionMandatory()
}

export function requireOption(): Option {
  return new Option('-r, --require <module>', 'module to load first; may be repeated')
    .argParser((module: string, all: readonly string[]) => [...all, module])
    .default([])
}
