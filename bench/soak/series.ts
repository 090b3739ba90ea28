// What a soak records, every few seconds, and how each of it developed.
interface Series {
  title: string
  unit: string
  /** Whether it may not grow. */
  isJudged?: boolean
}

/** All of what is recorded, in the order of the tables. */
export const series = {
  // A sign-in takes 64 MiB for a moment: what the process keeps is the least of several looks.
  rss_mib: { title: 'resident memory, least', unit: 'MiB', isJudged: true },
  rss_peak_mib: { title: 'resident memory, most', unit: 'MiB' },
  heap_after_gc_mib: { title: 'heap after a whole collection', unit: 'MiB', isJudged: true },
  heap_mib: { title: 'heap', unit: 'MiB', isJudged: true },
  external_mib: { title: 'memory outside of the heap', unit: 'MiB', isJudged: true },
  loop_p50_ms: { title: 'event-loop delay, p50', unit: 'ms' },
  loop_p99_ms: { title: 'event-loop delay, p99', unit: 'ms' },
  loop_max_ms: { title: 'event-loop delay, most', unit: 'ms' },
  answer_p50_ms: { title: 'answers, p50', unit: 'ms' },
  answer_p99_ms: { title: 'answers, p99', unit: 'ms' },
  answers: { title: 'answers', unit: 'in a second' },
  refused: { title: 'of these 503', unit: 'in a second' },
  descriptors: { title: 'open descriptors', unit: '' },
  connections: { title: 'connections to the database', unit: '' },
  active: { title: 'connections that run a statement', unit: '' },
  in_transaction: { title: 'connections idle in a transaction', unit: '' },
  wal_mib: { title: 'write-ahead log', unit: 'MiB' },
  database_mib: { title: 'database', unit: 'MiB' },
} satisfies Record<string, Series>

export type SeriesName = keyof typeof series
export const seriesNames = Object.keys(series) as SeriesName[]

/** A look at everything; what could not be seen is left out. */
export type Sample = { minute: number } & Partial<Record<SeriesName, number>>

export interface Trend {
  mean: number
  per_hour: number
  /** The standard error of `per_hour`. */
  error: number
  /** How many values it is made from. */
  values: number
}

/** Of the whole time, what does not count. */
export const warmUp = 1 / 5
/** Values that follow each other soon are alike, and make the error look small: the line is laid through means. */
const means = 24

/** The straight line through a series, by least squares, after the warm-up; undefined of too few values. */
export function trendOf(samples: Sample[], name: SeriesName): Trend | undefined {
  const end = samples.at(-1)?.minute ?? 0
  const points = samples
    .filter(({ minute, [name]: value }) => minute >= end * warmUp && Number.isFinite(value))
    .map(({ minute, [name]: value }) => [minute / 60, value!] as const)
  const size = Math.ceil(points.length / means)
  const groups = Array.from({ length: Math.floor(points.length / size) || 0 }, (_, at) =>
    points.slice(at * size, (at + 1) * size),
  )
  if (groups.length < 8) return undefined
  const x = groups.map((group) => mean(group.map(([hour]) => hour)))
  const y = groups.map((group) => mean(group.map(([, value]) => value)))
  return { ...line(x, y), mean: mean(points.map(([, value]) => value)), values: points.length }
}

/** Simple linear regression of y on x. */
function line(x: number[], y: number[]): Pick<Trend, 'per_hour' | 'error'> {
  const [middle, level] = [mean(x), mean(y)]
  const spread = sum(x.map((value) => (value - middle) ** 2))
  const per_hour = sum(x.map((value, at) => (value - middle) * (y[at]! - level))) / spread
  const rest = sum(x.map((value, at) => (y[at]! - level - per_hour * (value - middle)) ** 2))
  return { per_hour, error: Math.sqrt(rest / (x.length - 2) / spread) }
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
const mean = (values: number[]) => sum(values) / values.length

/** Minutes from which on a trend says something about growth: in the first ones code is still being compiled. */
export const longEnough = 20
/** Growth in a day, as a share of the mean, that nobody needs to look at. */
const harmless = 0.5

/** What a series in 24 hours adds to its mean, as a share of it. */
export const inADay = ({ mean: level, per_hour }: Trend) => (per_hour * 24) / level

/** Whether a series grows: surely, by more than three standard errors, and so much that it would matter within days. */
export const grows = (trend: Trend): boolean => trend.per_hour > 3 * trend.error && inADay(trend) > harmless
