// Datadog's agent with database monitoring: it adds a comment with the trace to each statement.
require('dd-trace').init({ dbmPropagationMode: 'full', startupLogs: false, telemetry: { enabled: false } })
