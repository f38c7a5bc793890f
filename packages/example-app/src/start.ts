async function start(): Promise<void> {
  // Loaded in here, since the data source refuses addresses that are none as soon as it is made.
  const { run } = await import('./demo/run.js')
  await run()
}

start().catch((error: unknown) => {
  console.error(`\nThe album could not be made: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
})
