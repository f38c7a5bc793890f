// The package shows the repository's README: copied for packing only.
import { copyFileSync, existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const source = fileURLToPath(new URL('../../../README.md', import.meta.url))
if (existsSync(source)) copyFileSync(source, fileURLToPath(new URL('../README.md', import.meta.url)))
else console.error('There is no README.md at the root of the repository: the package goes without.')
