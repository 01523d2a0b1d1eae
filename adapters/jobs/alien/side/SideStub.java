import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.regex.*;

/** The six operations of side.schema.json without JAliEn behind them. A site puts its dispatcher's calls where the comments are. */
public class SideStub {
	static final Map<String, String[]> jobs = new LinkedHashMap<>(); // queueId -> state, token, by
	static String jdl;

	static String field(final String body, final String name) {
		final Matcher m = Pattern.compile("\"" + name + "\":\"?([^\",}]*)").matcher(body);
		return m.find() ? m.group(1) : "";
	}

	static String match(final String body) { // Dispatcher.execute(new GetMatchJob(siteMap)).getMatchAnswer()
		for (final Map.Entry<String, String[]> job : jobs.entrySet())
			if (job.getValue()[0].equals("WAITING")) {
				job.getValue()[0] = "ASSIGNED";
				return "{\"code\":1,\"job\":{\"queueId\":\"" + job.getKey() + "\",\"token\":\"" + job.getValue()[1] + "\",\"user\":\"vol\",\"jdl\":\"" + jdl + "\"}}";
			}
		return "{\"code\":-2,\"error\":\"Nothing to run :-(\"}";
	}

	static String status(final String body) { // TaskQueueApiUtils.setJobStatus(queueId, resubmission, status, extrafields)
		final String[] job = jobs.get(field(body, "queueId"));
		final String to = field(body, "to"), from = field(body, "from");
		final boolean over = job == null || !job[1].equals(field(body, "token")) || job[0].matches("DONE.*|ERROR_.*|KILLED|EXPIRED|FAILED");
		final boolean done = !over && !to.isEmpty() && (from.isEmpty() || from.equals(job[0]));
		if (done) {
			job[0] = to;
			job[2] = field(body, "by");
		}
		final String result = over ? "over" : to.isEmpty() || done ? "ok" : "refused";
		return "{\"result\":\"" + result + "\",\"state\":\"" + (job == null ? "KILLED" : job[0]) + "\",\"by\":\"" + (job == null ? "" : job[2]) + "\"}";
	}

	public static void main(final String[] args) throws Exception { // PORT TOKENFILE JDL-WITHOUT-QUOTES-ESCAPED JOBS
		final String token = "Bearer " + Files.readString(Path.of(args[1])).trim();
		jdl = args[2];
		for (int id = 1; id <= Integer.parseInt(args[3]); id++)
			jobs.put(String.valueOf(id), new String[] { "WAITING", "0123456789abcdef0123456789abcd" + (10 + id % 90), "" });
		final HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 16);
		server.createContext("/v1/", exchange -> {
			final String body = new String(exchange.getRequestBody().readNBytes(1 << 20), StandardCharsets.UTF_8);
			final String answer = switch (exchange.getRequestURI().getPath()) {
				case "/v1/match" -> match(body);
				case "/v1/status" -> status(body);
				case "/v1/envelope" -> "{\"result\":\"refused\",\"places\":[],\"why\":\"no storage behind this stub\"}"; // access
				case "/v1/register" -> "{\"registered\":[]}"; // RegisterEnvelopes
				default -> "{}"; // log: putJobLog; results: addResultsJdl
			};
			final byte[] bytes = answer.getBytes(StandardCharsets.UTF_8);
			final boolean known = token.equals(exchange.getRequestHeaders().getFirst("Authorization"));
			exchange.sendResponseHeaders(known ? 200 : 401, known ? bytes.length : -1);
			if (known)
				exchange.getResponseBody().write(bytes);
			exchange.close();
		});
		server.start();
		System.out.println("{\"event\":\"ready\",\"port\":" + server.getAddress().getPort() + "}");
	}
}
