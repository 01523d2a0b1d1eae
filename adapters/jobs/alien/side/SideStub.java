import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;

/** The six operations of side.schema.json without JAliEn behind them. A site puts its dispatcher's calls where the comments are. */
public class SideStub {
	static final Map<String, Map<String, String>> jobs = new LinkedHashMap<>(); // by queueId: state, token, by
	static String field(String body, String name) {
		String[] parts = body.split("\"" + name + "\":\"?", 2);
		return parts.length < 2 ? "" : parts[1].split("[\",}]", 2)[0];
	}

	static String match(String jdl) { // Dispatcher.execute(new GetMatchJob(siteMap)).getMatchAnswer()
		return jobs.entrySet().stream().filter(one -> one.getValue().replace("state", "WAITING", "ASSIGNED")).findFirst()
			.map(one -> "{\"code\":1,\"job\":{\"queueId\":\"%s\",\"token\":\"%s\",\"user\":\"vol\",\"jdl\":\"%s\"}}".formatted(one.getKey(), one.getValue().get("token"), jdl))
			.orElse("{\"code\":-2,\"error\":\"Nothing to run :-(\"}");
	}

	static String status(String body) { // TaskQueueApiUtils.setJobStatus(queueId, resubmission, status, extrafields)
		var job = jobs.getOrDefault(field(body, "queueId"), Map.of("state", "KILLED", "token", "", "by", ""));
		String from = field(body, "from"), to = field(body, "to"), state = job.get("state");
		boolean isOver = !job.get("token").equals(field(body, "token")) || state.matches("DONE.*|ERROR_.*|KILLED|EXPIRED|FAILED");
		String result = isOver ? "over" : from.isEmpty() || from.equals(state) ? "ok" : "refused";
		if (result.equals("ok") && !to.isEmpty()) job.putAll(Map.of("state", to, "by", field(body, "by")));
		return "{\"result\":\"%s\",\"state\":\"%s\",\"by\":\"%s\"}".formatted(result, job.get("state"), job.get("by"));
	}

	public static void main(String[] args) throws Exception { // PORT TOKENFILE JDL-WITHOUT-QUOTES-ESCAPED JOBS
		for (int id = 1; id <= Integer.parseInt(args[3]); id++)
			jobs.put("" + id, new HashMap<>(Map.of("state", "WAITING", "token", UUID.randomUUID().toString().replace("-", ""), "by", "")));
		HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 16);
		server.createContext("/v1/", exchange -> {
			String body = new String(exchange.getRequestBody().readNBytes(1 << 20), StandardCharsets.UTF_8);
			String secret = "Bearer " + Files.readString(Path.of(args[1])).trim();
			String answer = !secret.equals(exchange.getRequestHeaders().getFirst("Authorization")) ? "" : switch (exchange.getRequestURI().getPath()) {
				case "/v1/match" -> match(args[2]);
				case "/v1/status" -> status(body);
				case "/v1/envelope" -> "{\"result\":\"refused\",\"places\":[],\"why\":\"no storage behind this stub\"}"; // access
				case "/v1/register" -> "{\"registered\":[]}"; // RegisterEnvelopes
				default -> "{}"; // log: putJobLog; results: addResultsJdl
			};
			exchange.sendResponseHeaders(answer.isEmpty() ? 401 : 200, 0);
			try (var out = exchange.getResponseBody()) { out.write(answer.getBytes(StandardCharsets.UTF_8)); }
		});
		server.start();
		System.out.println("{\"event\":\"ready\",\"port\":" + server.getAddress().getPort() + "}");
	}
}
