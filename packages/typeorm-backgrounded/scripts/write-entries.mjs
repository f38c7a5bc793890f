// Completes the compiled package: run after tsc. For each entry of "exports" it writes
//   index.mjs, index.d.mts  beside the CommonJS module: `import` gets that very module, so there is one copy of the state;
//   <entry>/package.json    for sub-entries, for whoever does not read "exports" (moduleResolution node10, old Jest).
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)
const { bin, exports: entries } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

for (const [entry, conditions] of Object.entries(entries)) {
  if (typeof conditions === 'string') continue
  writeWrapper(conditions)
  if (entry !== '.') writeDirectory(entry, conditions.require)
}
for (const file of Object.values(bin)) chmodSync(join(root, file), 0o755)

function writeWrapper({ import: esm, require: cjs }) {
  const names = Object.keys(require(join(root, cjs.default))).sort()
  const source = `./${basename(cjs.default)}`
  writeFileSync(
    join(root, esm.default),
    `import module from '${source}'\n\nexport const {\n${names.map((name) => `  ${name},\n`).join('')}} = module\n`,
  )
  writeFileSync(join(root, esm.types), `export * from '${source}'\n`)
}

function writeDirectory(entry, { default: main, types }) {
  const directory = join(root, entry)
  const inside = (file) => relative(directory, join(root, file)).replaceAll('\\', '/')
  mkdirSync(directory, { recursive: true })
  writeFileSync(
    join(directory, 'package.json'),
    `${JSON.stringify({ main: inside(main), types: inside(types) }, null, 2)}\n`,
  )
}
