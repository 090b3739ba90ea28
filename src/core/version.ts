import packageJson from '../../package.json' with { type: 'json' }

/** The version of this service: package.json is the one place that states it. */
export const { version } = packageJson
