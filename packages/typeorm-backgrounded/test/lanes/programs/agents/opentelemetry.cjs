// OpenTelemetry's Postgres instrumentation with SQL comments: it sends a copy of each query, with a comment in its text.
const { registerInstrumentations } = require('@opentelemetry/instrumentation')
const { PgInstrumentation } = require('@opentelemetry/instrumentation-pg')
const { NodeTracerProvider } = require('@opentelemetry/sdk-trace-node')

new NodeTracerProvider().register()
registerInstrumentations({ instrumentations: [new PgInstrumentation({ addSqlCommenterCommentToQueries: true })] })
