// Removes from dist what no source file stands behind any more, so that it is not published.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

for (const file of readdirSync(join(root, 'dist'), { recursive: true })) {
  const source = /^(.+?)\.(js|js\.map|d\.ts|mjs|d\.mts)$/.exec(file)?.[1]
  if (source !== undefined && !existsSync(join(root, 'src', `${source}.ts`))) rmSync(join(root, 'dist', file))
}
