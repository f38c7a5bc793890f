import type { Environment, FigureResult } from '../measure/result'

/** Where, when and with what was measured: once for all figures that share it. */
export function environmentSection(figures: readonly FigureResult[]): string {
  const environments = new Map<string, { environment: Environment; names: string[] }>()
  for (const { environment, name } of figures) {
    const key = JSON.stringify(environment)
    const entry = environments.get(key) ?? { environment, names: [] }
    entry.names.push(name)
    environments.set(key, entry)
  }
  const isOne = environments.size === 1
  return [...environments.values()]
    .map(({ environment, names }) => {
      const { date, machine, versions } = environment
      const told = (record: Readonly<Record<string, string>>) =>
        Object.entries(record).map(([name, value]) => `${name} ${value}`)
      return [
        ...(isOne ? [] : [`For ${names.join(', ')}:`]),
        ['', `Measured on ${date}`, ...told(machine)].join('\n- ').trim(),
        `Versions: ${told(versions).join(', ')}.`,
      ].join('\n\n')
    })
    .join('\n\n')
}
