import { Command } from 'commander'
import { pluginOf } from '../../backgrounded'
import { dataSourceOption, requireOption } from '../flags'
import { loadDataSource, requireModules } from '../load-data-source'
import { tableStatements } from '../plugin-tables'

interface Flags {
  readonly dataSource: string
  readonly require: readonly string[]
}

export function schemaCommand(): Command {
  return new Command('schema')
    .description("Prints the SQL that creates the plugin's tables, and writes nothing to the database")
    .addOption(dataSourceOption())
    .addOption(requireOption())
    .action(run)
}

async function run(flags: Flags): Promise<void> {
  // What the program says while it is loaded would be taken for SQL.
  console.log = console.info = console.debug = console.error
  requireModules(flags.require)
  const dataSource = await loadDataSource(flags.dataSource)
  const statements = await tableStatements(dataSource)
  const { handler } = pluginOf(dataSource).options
  const about =
    statements.length > 0
      ? `-- The tables of typeorm-backgrounded in a ${dataSource.options.type} database that has none of them yet.`
      : `-- The ${handler.name} handler needs no tables.`
  // Something that the program has opened may keep it alive.
  process.stdout.write([about, ...statements, ''].join('\n'), () => process.exit(0))
}
